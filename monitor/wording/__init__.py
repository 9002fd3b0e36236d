"""Write numbers, findings and episodes in English."""
