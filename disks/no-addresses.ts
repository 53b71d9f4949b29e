/** Systems whose cards get no new addresses from Muster. */
import { OperatorError } from '../model/errors';

export const noAddressesFor = (what: string): OperatorError =>
  new OperatorError({
    what: `the cards of ${what} cannot be given other addresses`,
    found: 'addresses in the order',
    needed: 'a Linux that the built-in inoculator knows (docs/re-addressing.md)',
    remedy:
      'Take the addresses out of the runbook and set them by a script in the guest after power-on, or let DHCP at the recovery site give them. For this run: abort, or skip this step if the system boots on the hardware by itself.',
  });
