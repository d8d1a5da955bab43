// The resume point: an unfinished pass becomes part of the base of the next one.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "transfer/block_map.h"

namespace zoneferry {

struct CatalogPaths {
    explicit CatalogPaths(const std::string& prefix)
        : base(prefix + ".base"),
          fresh(prefix + ".new"),
          merged(prefix + ".merged"),
          acked(prefix + ".acked"),
          blocks(prefix + ".blocks") {}
    std::string base;
    std::string fresh;
    std::string merged;
    std::string acked;
    std::string blocks;
};

// A pass id names the boot it ran in: what a pass wrote last before a power cut may be lost, so an unfinished pass
// of another boot says nothing sure about the target.
std::string new_pass_id();

// Leaves only .base, if anything: the older base with the unfinished pass's acknowledged part merged in. Returns
// false if nothing is known about the target (all files are gone then): it must be told to clear. New block maps go to
// the store.
Result<bool> settle_catalogs(const CatalogPaths& paths, BlockStore& blocks);
Status forget_catalogs(const CatalogPaths& paths);

}  // namespace zoneferry
