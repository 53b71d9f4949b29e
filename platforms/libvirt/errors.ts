/** What virsh and QEMU say when something fails, in the three families, each with what to do. */
import { OperatorError, PermanentError, TransientError, type MusterError } from '../../model/errors';
import type { ProgramError } from '../../programs/run';

interface Rule {
  readonly says: RegExp;
  readonly make: (facts: { what: string; found: string; detail: string }) => MusterError;
}

/** First match wins. The texts are those of libvirt 9.0 and QEMU 7.2, run with LC_ALL=C.UTF-8. */
const rules: readonly Rule[] = [
  {
    says: /failed to connect|Connection refused|End of file while reading|client socket is closed|Cannot recv data|internal error: connection closed|keepalive/i,
    make: (facts) =>
      new TransientError({
        ...facts,
        needed: 'a libvirt daemon that answers',
        remedy: 'Start libvirtd (systemctl start libvirtd, or virtlogd -d and libvirtd -d) and check the URI.',
      }),
  },
  {
    says: /No space left on device|ENOSPC/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'free space',
        remedy: 'Free or add storage on that file system, then retry.',
      }),
  },
  {
    says: /Failed to get (shared )?"[\w ]+" lock|Failed to lock byte|Resource temporarily unavailable/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'nobody else having the disk open',
        remedy: 'Let the other machine or the target server release the disk, then retry.',
      }),
  },
  {
    says: /Network not found|no network with matching name/i,
    make: (facts) =>
      new PermanentError({
        ...facts,
        needed: 'a network that libvirt knows',
        remedy:
          'Define it with virsh net-define, then retry; or map the network to another one: `muster retry RUN --from create-machine --set networks=SOURCE=TARGET --reason …`.',
      }),
  },
  {
    says: /network '.*' is not active/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'an active network',
        remedy: 'Start it with virsh net-start, then retry.',
      }),
  },
  {
    says: /already exists with uuid|is already defined with uuid|already exists/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'a free name and uuid',
        remedy: 'Choose another name (provide machineName), or remove or rename that machine, then retry.',
      }),
  },
  {
    says: /Domain not found|no domain with matching/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'the machine that the run created',
        remedy: 'Look whether somebody removed or renamed it (virsh list --all).',
      }),
  },
  {
    says: /Cannot allocate memory|cannot set up guest memory/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'enough free memory on the host',
        remedy:
          'Switch off machines that are not needed, then retry; or give this one less memory: `muster retry RUN --from create-machine --set memoryBytes=4G --reason …`.',
      }),
  },
  {
    says: /Permission denied|Operation not permitted|authentication (failed|unavailable)|access denied/i,
    make: (facts) =>
      new OperatorError({
        ...facts,
        needed: 'the right to do this; disks must be in folders that the user libvirt-qemu may enter',
        remedy: 'Give the right, then retry.',
      }),
  },
  {
    says: /cannot acquire state change lock|Timed out during operation/i,
    make: (facts) => new TransientError({ ...facts, needed: 'a machine that nobody else is changing' }),
  },
  {
    says: /unsupported configuration|XML error|XML document failed to validate|invalid argument|No such file or directory|unsupported machine type|is not supported/i,
    make: (facts) => new PermanentError({ ...facts, needed: 'a specification that this host can build' }),
  },
];

/** The error of a failed virsh or qemu-img in Muster's words; `what` is the clause that the sentence begins with. */
export function explainFailure(what: string, error: ProgramError): MusterError {
  const detail = error.stderr.trim() || error.shortMessage;
  const found = lastLine(detail);
  if (error.code === 'ENOENT' || /setpriv: failed to execute/.test(error.stderr)) {
    return new PermanentError({
      ...{ what, found, detail },
      needed: 'the programs of libvirt and QEMU',
      remedy: 'Install them: apt-get install libvirt-clients libvirt-daemon-system qemu-system-x86 qemu-utils.',
    });
  }
  if (error.tooMuchOutput) {
    return new PermanentError({
      ...{ what, found: error.shortMessage.split(':', 1)[0]!, needed: 'an answer of ordinary length', detail },
      remedy: 'Look at the machine: what is asked of a guest is answered by the guest.',
    });
  }
  if (error.timedOut) {
    return new TransientError({ what, found: 'no answer in time', needed: 'an answer from libvirt', detail });
  }
  const rule = rules.find((candidate) => candidate.says.test(detail));
  return rule ? rule.make({ what, found, detail }) : new TransientError({ what, found, detail });
}

/** virsh repeats itself: `error: Failed to start domain 'x'`, then the cause. The cause is the last line. */
function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return (lines.at(-1) ?? text).replace(/^error: /, '').slice(0, 400);
}
