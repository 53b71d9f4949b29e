/** How a message is sent, whatever it is sent by. */
import type { Parcel } from '../store/notifications-contract';

export interface Sender {
  /** @throws an error; PermanentError: it will never be taken, do not try again. */
  send(parcel: Parcel, signal: AbortSignal): Promise<void>;
}
