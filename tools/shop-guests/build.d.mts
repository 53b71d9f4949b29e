/** Types of build.mjs for tests and tools written in TypeScript. */
export interface ShopServer {
  readonly name: 'shop-db' | 'shop-app' | 'shop-web';
  readonly tier: 'db' | 'app' | 'web';
  /** IPv4, in a network of 24 bits that all three share. */
  readonly address: string;
  readonly port: number;
  readonly asks: string | null;
}

export const shopServers: readonly ShopServer[];
/** Path of each server's read-only image; start machines from overlays. */
export type ShopGuests = Readonly<Record<ShopServer['name'], string>>;
export function shopGuests(options?: { progress?: (line: string) => void }): Promise<ShopGuests>;
export function shopGuestsStatus(): ShopGuests | undefined;
