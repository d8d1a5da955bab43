// Takes compression off a stream of bytes.
#pragma once

#include <memory>

#include "core/image/byte_source.h"

namespace zoneferry {

// What is left when every compression that libarchive knows by its content is taken off; the same bytes if there is
// none. A damaged or cut stream is Errc::corrupt.
class DecodedSource : public ByteSource {
public:
    explicit DecodedSource(ByteSource& from);
    ~DecodedSource() override;
    Status open();
    Result<std::size_t> read(MutableBytes into) override;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace zoneferry
