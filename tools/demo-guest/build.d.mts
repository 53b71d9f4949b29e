/** Types of build.mjs for tests and tools written in TypeScript. */
export interface DemoGuest {
  /** A read-only qcow2 image without a backing file; start machines from an overlay on it. */
  readonly imagePath: string;
  readonly kernelRelease: string;
  /** What the guest sees. */
  readonly sizeBytes: number;
  /** What the file takes on the host. */
  readonly fileBytes: number;
  readonly rootUuid: string;
  readonly dataUuid: string;
  /** UTC with milliseconds. */
  readonly builtAt: string;
}

export interface DemoGuestStatus {
  readonly folder: string;
  readonly name: string;
  readonly imagePath: string;
  readonly factsPath: string;
  readonly guest: DemoGuest | undefined;
}

export function demoGuest(options?: { progress?: (line: string) => void }): Promise<DemoGuest>;
export function demoGuestStatus(): DemoGuestStatus;
