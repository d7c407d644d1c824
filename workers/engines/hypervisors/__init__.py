"""Hypervisors other than QEMU: the XML that their libvirt drivers take, and what they need."""
