"""Small pure policies: each looks at a Situation and returns a Plan, or None when it has no say."""
