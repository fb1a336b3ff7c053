"""One file an SAE: its config, its class, `@register`. Found by themselves."""
