// What the digest of an entry is over (tree_digest.h), read from the disk: items for a ContentHasher.
#pragma once

#include <string>

#include "transfer/attributes.h"
#include "transfer/content_hash.h"

namespace zoneferry {

struct EntryReading {
    bool contents = true;   // false: of a file its size and times count, its bytes are not read
    bool for_later = true;  // a change from now on must show in its change time
};

// An item with its head only. kind: 'e' an entry, 'h' a further name of one, 'd' and 'l' a directory begins and ends.
HashItem begin_item(char kind, const std::string& name);

// The facts of anything but a directory, and its open file where contents count. The note becomes "again" where a later
// change might not show.
Status read_entry(HashItem& item, int directory, const std::string& name, const EntryStat& stat,
                  const EntryReading& reading);
// Of a directory: its own metadata.
Status read_directory(HashItem& item, int directory, const EntryStat& stat);

}  // namespace zoneferry
