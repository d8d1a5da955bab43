// libarchive fed by a ByteSource: handle, callbacks and errors in one place.
#pragma once

#include <archive.h>

#include <memory>
#include <optional>
#include <string>

#include "core/image/byte_source.h"

namespace zoneferry {

class ArchiveReader {
public:
    explicit ArchiveReader(ByteSource& from) : from_(from), handle_(::archive_read_new(), &::archive_read_free) {}

    archive* get() const { return handle_.get(); }
    // After the formats and filters were chosen on get().
    Status open();
    // What went wrong: the source's own error if it was that; else libarchive's words, with the entry's name.
    Error error(const std::string& path = {}) const;

private:
    static la_ssize_t read_block(archive* reader, void* self, const void** block);

    ByteSource& from_;
    ByteVector block_;
    std::optional<Error> failure_;
    std::unique_ptr<archive, int (*)(archive*)> handle_;
};

}  // namespace zoneferry
