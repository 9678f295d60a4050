#pragma once
#include <string>

#include "fabric/network.hpp"

namespace jevons::fabric {

/// The topology as a self-contained SVG file: tiers with their counts, bandwidth and media between them, planes behind one another; a
/// torus as its grid of two dimensions, a mesh as its ring with chords. At most 16 boxes a row are drawn, the counts are the true ones.
std::string topology_svg(const Network& n, const PartsList& list);

}  // namespace jevons::fabric
