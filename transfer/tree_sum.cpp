#include "transfer/tree_sum.h"

#include <array>

namespace zoneferry {

void TreeSum::toggle(SumKind kind, std::string_view path, const Digest& entry) {
    std::array<std::byte, 5> head{static_cast<std::byte>(kind)};
    store_little_endian(static_cast<std::uint32_t>(path.size()), head.data() + 1);
    hash_.update(ConstBytes(key_));
    hash_.update(ConstBytes(head));
    hash_.update(path);
    hash_.update(ConstBytes(entry));
    const Digest element = hash_.finish();
    for (std::size_t i = 0; i < digest_.size(); ++i) digest_[i] ^= element[i];
}

}  // namespace zoneferry
