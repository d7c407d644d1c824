"""What Flower must know of Tonnage's broker: every key in Redis has this prefix. See docs/observability.md."""

broker_transport_options = {"global_keyprefix": "tonnage:"}
accept_content = ["json"]
