"""What has arrived in a Maildir."""
import os


def maildir(path):
    """Every message, as bytes, oldest first."""
    found = []
    for folder in ("new", "cur"):
        try:
            names = os.listdir(os.path.join(path, folder))
        except FileNotFoundError:
            continue
        for name in names:
            try:
                with open(os.path.join(path, folder, name), "rb") as f:
                    found.append((os.fstat(f.fileno()).st_mtime_ns, f.read()))
            except FileNotFoundError:
                pass
    return [data for _, data in sorted(found)]
