/**
 * The steps of push-button recovery with short texts: golden files must not change with the wording of the real
 * declaration. test/templates/report.test.ts also renders the real one.
 */
import type { ProcedureDeclaration, StepDeclaration } from '../../model/steps';

type Row = [id: string, title: string, why: string, undo: string | null, perDisk?: boolean];

const rows: readonly Row[] = [
  ['preflight', 'Check that the recovery can succeed', 'A problem found now costs a minute.', null],
  ['freeze', 'Freeze the replica at the last complete point', 'The point must not change.', 'Replication goes on.'],
  ['take-disks', 'Take the disks', 'Every edit goes to an overlay.', 'The overlays are closed and deleted.'],
  [
    'apply-signature',
    'Apply the signature to each volume',
    'The system must find its volumes.',
    'Taken out again.',
    true,
  ],
  ['inoculate', 'Inoculate the operating system', 'It wakes on other controllers.', null],
  ['update-registry', 'Update the registry', 'Windows keeps drivers in its registry.', null],
  [
    'suspend-replication',
    'Suspend replication, or note that it goes on',
    'The machine may take the replica.',
    'Frozen.',
  ],
  ['create-machine', 'Create the virtual machine', 'Nothing can be handed over without it.', 'The machine is removed.'],
  ['hand-over', 'Hand the disks over to the machine', 'No bytes are copied.', 'The disk is held again.', true],
  [
    'register-disks',
    'Register the disks with the platform',
    'An independent look at size and format.',
    'Forgotten.',
    true,
  ],
  ['release-disks', 'Let the target server release each disk', 'Two writers destroy a disk.', null, true],
  ['power-on', 'Power on', 'Two machines of one name must never answer at once.', 'The machine is powered off.'],
  ['prove-boot', 'Prove the boot', 'Powered on is not recovered.', null],
  ['resume-replication', 'Resume replication, or commit', 'The replica goes on taking points.', null],
];

export const storyDeclaration: ProcedureDeclaration = {
  name: 'push-button-recovery',
  title: 'Push-button recovery',
  summary: 'Brings one server back from its replica on other hardware, and proves that it works.',
  steps: rows.map(([id, title, why, undo, perDisk = false]): StepDeclaration => ({
    id,
    title,
    why,
    undo,
    perDisk,
    remedy: 'Mend what the message names, then retry.',
    skippable: true,
    provides: [],
  })),
};
