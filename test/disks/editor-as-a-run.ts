/** The disk toolkit as a run has it: what fails for the moment is attempted once more, because an emulated appliance may hang. */
import { createDiskEditor, type DiskEditorSettings } from '../../disks/editor';
import type { DiskEditor } from '../../disks/contract';
import { TransientError } from '../../model/errors';

export function editorAsARun(settings: DiskEditorSettings): DiskEditor {
  const editor = createDiskEditor(settings);
  return {
    ...editor,
    prepareInoculation: (...asked) => twice(() => editor.prepareInoculation(...asked)),
    inoculate: (...asked) => twice(() => editor.inoculate(...asked)),
    updateRegistry: (...asked) => twice(() => editor.updateRegistry(...asked)),
  };
}

/** `between`: what the second attempt needs. */
export async function twice<T>(attempt: () => Promise<T>, between?: () => Promise<void>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof TransientError)) throw error;
    // The second may succeed: what became of the first is for whoever looks for the cause.
    process.stderr.write(`attempted once more: ${error.message}\n${error.facts.detail ?? ''}\n`);
    await between?.();
    return attempt();
  }
}
