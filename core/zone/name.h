// The name of a zone, as a value that cannot be wrong.
//
// Rules (Solaris): 1 to 63 characters, the first a letter or digit, the rest letters, digits, '.', '_', '-'; never
// "global"; names beginning with "SUNW" are reserved. So a name is always safe as a file name.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace zoneferry {

class ZoneName {
public:
    static Result<ZoneName> create(std::string_view text);

    const std::string& str() const { return text_; }
    auto operator<=>(const ZoneName&) const = default;

private:
    explicit ZoneName(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

}  // namespace zoneferry
