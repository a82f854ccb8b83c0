"""Networks: `table.py` lists them, one file each; every one suits any image size from 8 to 224."""
