/** Types of system-packages.mjs for its test. */
export const systemPackages: readonly { readonly name: string; readonly quick: boolean; readonly reason: string }[];
