"""Where a picture's camera comes from: what is stated, files of cameras, EXIF or an assumption."""
