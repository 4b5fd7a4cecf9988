"""What the window shows and does, without a screen: plain data out, intentions in."""
