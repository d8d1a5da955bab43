// Fuzz target: pkginfo and response files as lists of parameters; what is taken is one line each, and what is written
// from it can be read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/svr4/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto list = parse_parameters(text, "pkginfo");
    if (!list) return 0;
    for (const auto& [name, value] : *list) {
        if (name.empty() || value.find('\n') != std::string::npos) std::abort();
        if (find_parameter(*list, name) != &value) std::abort();
    }
    (void)installed_pkginfo(*list, *list, {"SUNWx", "Jan 01 2005 00:00"});
    return 0;
}
