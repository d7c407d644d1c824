"""What an instance has within reach: seen from inside by its agent, and from outside in /proc."""
