// Fuzz target: the SVR4 contents file; an entry that is taken has an absolute path and an owner.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/svr4/contents.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)for_each_contents_entry(text, "contents", [](ContentsEntry entry) -> Status {
        if (!entry.path.starts_with('/')) std::abort();
        ContentsOwner owner;
        int owners = 0;
        for (; next_owner(entry, owner); ++owners) {
            if (owner.package.empty()) std::abort();
        }
        if (owners == 0) std::abort();
        return {};
    });
    return 0;
}
