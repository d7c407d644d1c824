"""One module per hypervisor other than QEMU: the XML that its libvirt driver takes, and what it needs."""
