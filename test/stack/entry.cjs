// The stack's own commands without the rest of the CLI: what the tests in this folder start as processes.
'use strict';
require('tsx/cjs');
const { Command } = require('commander');
const { stackCommands } = require('../../stack/commands.ts');
const program = new Command('muster');
stackCommands(program, { ownProcess: (name) => [process.execPath, __filename, name] });
program.parseAsync().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
