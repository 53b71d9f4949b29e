/** Types of python-programs.mjs for tests written in TypeScript. */
export const pythonPrograms: Readonly<Record<string, string>>;
export function pythonProgram(name: string, env?: NodeJS.ProcessEnv): string;
