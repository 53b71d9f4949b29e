/** An image whose header or tables QEMU refuses: what is on the storage is damaged, and stays so until somebody acts. */
import { OperatorError } from '../model/errors';
import { printable } from '../model/names';
import { ProgramError } from '../programs/run';

/** Words of block/qcow2.c (QEMU 7.2) for headers and tables that cannot be. */
const refusals = [
  /Image is (not in|too|corrupt)|Image does not/,
  /Unsupported (qcow2|cluster|encryption)/,
  /(table|width|name|extension) too (large|long|small)/,
  /qcow2 header/,
  /Invalid [\w ]+(offset|table|size)/,
];

/** The error of one of QEMU's tools, when it was the image that it refused; undefined for any other. */
export function imageProblem(error: unknown, image: string): OperatorError | undefined {
  if (!(error instanceof ProgramError)) return undefined;
  const said = error.stderr.trim().split('\n').at(-1) ?? '';
  if (!refusals.some((words) => words.test(said))) return undefined;
  return new OperatorError(
    {
      what: `${image} is no image that can be used`,
      found: printable(said.slice(said.lastIndexOf("': ") + 1).replace(/^: /, '')).slice(0, 300),
      needed: 'a whole image, as QEMU wrote it',
      remedy: 'Choose another recovery point; if it is the replica’s own layer, replicate the server anew.',
      detail: error.message,
    },
    { cause: error },
  );
}
