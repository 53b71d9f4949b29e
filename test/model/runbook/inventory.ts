/** An installation that runbooks in tests are checked against. */
import type { Inventory } from '../../../model/runbook/check';

export function inventory(changes: Partial<Inventory> = {}): Inventory {
  const server = (name: string, networks: string[] = ['lan']) =>
    [name, { name, recoverySiteId: 'dr', networks, tier: 2, objectives: { rpoMs: 60_000, rtoMs: 3_600_000 } }] as const;
  return {
    servers: new Map([server('db01'), server('db02'), server('app01'), server('web01', ['lan', 'dmz'])]),
    sites: new Map([
      [
        'dr',
        {
          networks: new Map([
            ['dr-lan', { isolated: false }],
            ['dr-dmz', { isolated: false }],
            ['lab', { isolated: true }],
          ]),
          hardware: ['kvm-virtio', 'vmware-pvscsi'],
        },
      ],
      ['far', { networks: null, hardware: null }],
    ]),
    runbooks: new Map([
      ['directory', []],
      ['circle', ['shop']],
    ]),
    steps: ['preflight', 'freeze', 'inoculate', 'power-on', 'prove-boot'],
    webhooks: ['pager'],
    programs: ['warm-cache', 'tell-dns'],
    people: new Map([
      ['ada', { role: 'coordinator' }],
      ['bert', { role: 'operator' }],
      ['cleo', { role: 'coordinator' }],
      ['vera', { role: 'viewer' }],
    ]),
    ...changes,
  };
}

/** Correct, and using nearly every key. */
export const shop = `format: 1
name: shop
title: Web shop
tier: 1
objectives: { rpo: 1m, rto: 30m, tiers: { 1: { rto: 10m } } }
networks:
  recovery: { lan: dr-lan, dmz: dr-dmz }
  rehearsal: { lan: isolated, dmz: lab }
defaults: { hardware: kvm-virtio }
waves:
  - name: data
    servers:
      - name: db01
        datastore: fast
        addresses: [{ nic: 0, recovery: { ip: 10.8.0.11/24, gateway: 10.8.0.1 } }]
      - name: db02
        datastore: fast
        failure: { giveUpAfter: 20m }
  - name: application
    after: [db01]
    gate: data-is-good
    servers:
      - name: app01
        machineName: app01-dr
        addresses: [{ nic: 0, recovery: { ip: 10.8.0.21/24 } }]
  - name: web
    after: [application, directory]
    servers:
      - name: web01
        after: [db02]
includes:
  - runbook: directory
limits: { atOnce: 4, sites: { dr: 2 }, datastores: { fast: 1 }, boots: { dr: 1 } }
gates:
  data-is-good:
    title: Data
    question: Are the data good?
    approvers: { roles: [coordinator], people: [bert] }
    approvals: 2
    within: 20m
    otherwise: escalate
    escalateTo: { roles: [admin] }
scripts:
  - { name: warm, when: after, step: prove-boot, servers: [app01], on: guest, program: /usr/bin/warm }
  - { name: dns, when: after, wave: web, on: worker, program: tell-dns, environment: { KEY: { secret: file:dns } } }
notify:
  - { on: [stuck, finished], mail: [ops@example.org], webhooks: [pager] }
`;
