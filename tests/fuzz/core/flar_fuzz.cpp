// The header of a flash archive: from any bytes.
#include <algorithm>
#include <cstdint>

#include "core/image/flar.h"

namespace {

class Memory : public zoneferry::ByteSource {
public:
    explicit Memory(zoneferry::ConstBytes bytes) : bytes_(bytes) {}
    zoneferry::Result<std::size_t> read(zoneferry::MutableBytes into) override {
        const std::size_t count = std::min(into.size(), bytes_.size());
        std::copy_n(bytes_.begin(), count, into.begin());
        bytes_ = bytes_.subspan(count);
        return count;
    }

private:
    zoneferry::ConstBytes bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Memory memory(std::as_bytes(std::span(data, size)));
    zoneferry::PeekSource source(memory);
    const auto header = zoneferry::read_flar_header(source);
    if (header && header->archived_method != "cpio" && header->archived_method != "pax") __builtin_trap();
    return 0;
}
