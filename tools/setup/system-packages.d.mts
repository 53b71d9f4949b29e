/** Types of system-packages.mjs for its tests. */
export const systemPackages: readonly {
  readonly name: string;
  readonly quick: boolean;
  readonly reason: string;
  readonly programs?: readonly string[];
}[];
