"""The MCP server: answers questions of AI clients from the stored workspace. It only reads, and knows no Slack."""
