# Muster's own processes: `muster worker` near the disks of a site, `muster api` anywhere.
# Temporal and Postgres run in containers of their own (docker-compose.yml).
FROM node:20-bookworm-slim

# What the worker runs: disks and guests (qemu-utils, qemu-system-common for qemu-storage-daemon, guestfish with a kernel
# for its appliance, hivexregedit of libwin-hivex-perl for Windows), the hypervisor (virsh), sfdisk for physical machines,
# and util-linux for setpriv. test/config/containers.test.ts holds it to what the code starts.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      ca-certificates util-linux fdisk libvirt-clients qemu-utils qemu-system-common qemu-system-x86 qemu-block-extra \
      guestfish libguestfs-tools libwin-hivex-perl libnbd-bin linux-image-amd64 ntfs-3g virt-v2v nbdkit \
      cpio zstd xz-utils lz4 openssl \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/muster
COPY package.json package-lock.json ./
RUN npm ci --omit=dev && npm cache clean --force
COPY . .

ENV NODE_ENV=production \
    MUSTER_DATA_FOLDER=/var/lib/muster \
    LIBGUESTFS_BACKEND=direct
VOLUME /var/lib/muster
ENTRYPOINT ["node", "/opt/muster/bin/muster"]
CMD ["--help"]
