// The resume point: an unfinished pass becomes part of the base of the next one.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace zoneferry {

struct CatalogPaths {
    explicit CatalogPaths(const std::string& prefix)
        : base(prefix + ".base"), fresh(prefix + ".new"), merged(prefix + ".merged"), acked(prefix + ".acked") {}
    std::string base;
    std::string fresh;
    std::string merged;
    std::string acked;
};

// A pass id names the boot it ran in: what a pass wrote last before a power cut may be lost, so an unfinished pass
// of another boot says nothing sure about the target.
std::string new_pass_id();

// Leaves only .base, if anything: the older base with the unfinished pass's acknowledged part merged in. Returns
// false if nothing is known about the target (all files are gone then): it must be told to clear.
Result<bool> settle_catalogs(const CatalogPaths& paths);
Status forget_catalogs(const CatalogPaths& paths);

}  // namespace zoneferry
