/** The published JSON Schema of a runbook's file, for editors: runbooks/runbook.schema.json. */
import { z } from 'zod';
import { runbookSchema } from './runbook';

/** A node of the JSON Schema, as far as the reference reads it. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly anyOf?: readonly SchemaNode[];
}

/**
 * As people write it, before defaults are filled in. zod leaves the examples of what is transformed out, as being of what becomes
 * of it (4.6); ours are as people write them.
 */
export function runbookJsonSchema(): SchemaNode {
  return z.toJSONSchema(runbookSchema, {
    io: 'input',
    target: 'draft-2020-12',
    override: ({ zodSchema, jsonSchema }) => {
      const examples = z.globalRegistry.get(zodSchema)?.['examples'];
      if (Array.isArray(examples)) jsonSchema.examples = examples;
    },
  }) as SchemaNode;
}
