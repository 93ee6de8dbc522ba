"""An export as a page: static files with which a browser runs the encoders by itself."""
