"""Write the generated contracts and documents."""
