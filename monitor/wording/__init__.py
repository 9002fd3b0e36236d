"""Numbers, findings and episodes in English; sanitizing of foreign text."""
