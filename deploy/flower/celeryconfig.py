"""What Flower must know of Tonnage's broker: the prefix of every key. See docs/observability.md."""

broker_transport_options = {"global_keyprefix": "tonnage:"}
accept_content = ["json"]
