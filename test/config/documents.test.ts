/** Documentation and deployment files agree with the settings that the code knows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { otherVariables, settings, type Setting } from '../../config/settings';

const root = join(__dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const known = [...Object.values<Setting>(settings), ...otherVariables].map(({ variable }) => variable);
const variablesIn = (text: string): string[] => [...new Set(text.match(/\bMUSTER_[A-Z_]+\b/g) ?? [])];

interface Compose {
  services: Record<
    string,
    { environment?: Record<string, string>; secrets?: string[]; depends_on?: object; image?: string; build?: string }
  >;
  secrets: Record<string, unknown>;
  volumes: Record<string, unknown>;
}
const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose;

test('every setting has its own variable and its own place in the file', () => {
  const keys = Object.values<Setting>(settings).flatMap(({ key }) => (key === null ? [] : [key]));
  expect(new Set(known).size).toBe(known.length);
  expect(new Set(keys).size).toBe(keys.length);
});

test.each(['docker-compose.yml', 'Dockerfile', 'docs/configuration.md'])('%s names no unknown variable', (name) => {
  const used = variablesIn(read(name));
  expect(used.length).toBeGreaterThan(0);
  expect(used.filter((variable) => !known.includes(variable) && variable !== 'MUSTER_')).toEqual([]);
});

test('the containers that are ours set only variables of Muster, and they form a valid configuration', () => {
  const ours = Object.values(compose.services).filter((service) => service.build !== undefined);
  expect(ours).toHaveLength(3);
  for (const { environment } of ours) {
    for (const [name, value] of Object.entries(environment ?? {})) {
      const setting = Object.values<Setting>(settings).find(({ variable }) => variable === name);
      expect([name, setting?.schema.safeParse(value).success]).toEqual([name, true]);
    }
  }
});

test('every service, secret and volume that docker-compose.yml refers to is declared', () => {
  expect(Object.keys(compose.services).sort()).toEqual(['api', 'postgres', 'prepare', 'temporal', 'worker']);
  for (const service of Object.values(compose.services)) {
    for (const secret of service.secrets ?? []) expect(compose.secrets).toHaveProperty([secret]);
    for (const name of Object.keys(service.depends_on ?? {})) expect(compose.services).toHaveProperty([name]);
    expect(service.image ?? service.build).toBeDefined();
  }
});

test('no password stands in docker-compose.yml', () => {
  for (const service of Object.values(compose.services)) {
    for (const [name, value] of Object.entries(service.environment ?? {})) {
      expect(`${name}=${value}`).not.toMatch(/(PASSWORD|PWD|SECRET|TOKEN)=./);
      expect(value).not.toMatch(/:\/\/[^/]*:[^/]*@/);
    }
  }
});

test('the image starts the program that package.json names', () => {
  const { bin } = JSON.parse(read('package.json')) as { bin: { muster: string } };
  expect(read('Dockerfile')).toContain(`ENTRYPOINT ["node", "/opt/muster/${bin.muster}"]`);
  const ignored = read('.dockerignore').split('\n');
  for (const needed of ['bin', 'cli', 'stack', 'worker', 'workflows', 'package.json'])
    expect(ignored).not.toContain(needed);
});
