"""Picture bytes in, picture bytes out: sniff, decode safely, convert, thumbnails, the recipe in the file."""
