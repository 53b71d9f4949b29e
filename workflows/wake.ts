/** A promise and what resolves it. */
export class Wake {
  wake: () => void = () => undefined;
  readonly promise = new Promise<void>((resolve) => (this.wake = resolve));
}
