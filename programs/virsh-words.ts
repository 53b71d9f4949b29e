/** What virsh prints that replication and the platform have to understand alike; the texts of libvirt 9.0 and, of the agent's silence, later ones. */

/** The guest's agent did not answer in libvirt's time, or is being asked something else: it may answer the next time. */
export const silentAgent = /not available for now|didn't respond to|cannot acquire state change lock/;
