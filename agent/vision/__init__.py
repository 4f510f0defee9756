"""The vision child: frames in, facts out. It knows no names."""
