"""Compiled ray casting of boxes on a cloth, lit by one soft lamp and by ambient light.

Only additions, products, quotients and square roots are used, in a fixed order, so that images are
the same bit for bit in every process.

    trace      visible surface of each pixel, and its own few of 32 rays to the
               lamp and 32 ambient rays, shared by 4 x 4 pixels of a surface  -> Pixels
    paint      color of up to 4 samples per pixel                             -> linear RGB
    develop    lens, gamma, noise                                             -> bytes

Numba's cache on disk stays valid while this file is unchanged, even if imported files change:
functions and constants that kernels use must be in this file, which is why it is not split.
"""

import numpy as np
from numba import njit

from physrl.environments.scene_arrays import Boxes, Cloth, Finish, Floats, Lens, Light, Pixels
from physrl.types import Image

kernel = njit(cache=True, error_model="numpy", _nrt=False)
"""Decorator of compiled functions. They allocate nothing, so reference counting, which took most of
the time, is switched off."""
inlined = njit(cache=True, error_model="numpy", _nrt=False, inline="always")
"""Decorator of functions inlined into their callers: passing the arrays costs more than most of
the work."""

GROUND, WALL, NOTHING = -1, -2, -3
LIGHT_RAYS = 32
SHARE = 4
"""Pixels along each side of a neighborhood that shares light: a pixel casts LIGHT_RAYS / SHARE**2
rays of each kind."""

GROUND_ALBEDO = 0.62
"""Fraction of ambient light that the ground reflects."""
BLOCK_ALBEDO = 0.12
"""Fraction of ambient light that a block reflects."""
MISS = 1e30


@kernel
def hash01(x: int, y: int, z: int) -> float:
    """Compute a pseudorandom number between 0 and 1."""
    h = (x * 374761393 + y * 668265263 + z * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@kernel
def smooth_noise(x: float, y: float, z: float, seed: int) -> float:
    """Interpolate pseudorandom values on the integer lattice; -1 to 1."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                share = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                total += share * hash01(i + a, j + b, (k + c) * 7919 + seed)
    return 2 * total - 1


@inlined
def hit_box(boxes, n, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Compute where a ray enters box n: (distance, face 0..5), or (MISS, 0)."""
    px, py, pz = boxes.centers[n, 0] - ox, boxes.centers[n, 1] - oy, boxes.centers[n, 2] - oz
    halves = boxes.halves
    along = px * dx + py * dy + pz * dz
    reach = halves[n, 0] * halves[n, 0] + halves[n, 1] * halves[n, 1] + halves[n, 2] * halves[n, 2]
    squared = px * px + py * py + pz * pz
    if squared - along * along > reach or (along < 0 and squared > reach):
        return MISS, 0
    enter, leave, face = -MISS, MISS, 0
    for a in range(3):
        half = halves[n, a]
        ax, ay, az = boxes.axes[n, a, 0], boxes.axes[n, a, 1], boxes.axes[n, a, 2]
        center = ax * px + ay * py + az * pz
        speed = ax * dx + ay * dy + az * dz
        if abs(speed) < 1e-12:
            if abs(center) > half:
                return MISS, 0
            continue
        first, second = (center - half) / speed, (center + half) / speed
        side = 2 * a  # the face towards the axis's start
        if first > second:
            first, second = second, first
            side += 1
        if first > enter:
            enter, face = first, side
        leave = min(leave, second)
        if enter > leave:
            return MISS, 0
    if enter < 1e-6:
        return MISS, 0
    return enter, face


@kernel
def pixel_ray(lens, row, column):  # type: ignore[no-untyped-def]
    """Compute the unit direction of the ray through a point of the image."""
    u, v = (column - lens.column) * lens.slope, (lens.row - row) * lens.slope
    dx = u * lens.right[0] + v * lens.up[0] + lens.forward[0]
    dy = u * lens.right[1] + v * lens.up[1] + lens.forward[1]
    dz = u * lens.right[2] + v * lens.up[2] + lens.forward[2]
    shrink = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
    return shrink * dx, shrink * dy, shrink * dz


@inlined
def intersect(boxes, lens, cloth, row, column, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Find the visible surface at a point of the image: (surface, distance).

    Surface 6 n + face is a face of box n.
    """
    ex, ey, ez = lens.eye
    nearest, surface = MISS, NOTHING
    for n in range(len(boxes.halves)):
        window = boxes.windows
        if row < window[n, 0] or row > window[n, 1]:
            continue
        if column < window[n, 2] or column > window[n, 3]:
            continue
        distance, face = hit_box(boxes, n, ex, ey, ez, dx, dy, dz)
        if distance < nearest:
            nearest, surface = distance, 6 * n + face
    if surface == NOTHING:
        if dz < 0:
            nearest, surface = (cloth.wall_z - ez) / dz, WALL
        if dy < 0 and -ey / dy < nearest:
            nearest, surface = -ey / dy, GROUND
    return surface, nearest


@inlined
def blocked(boxes, own, ox, oy, oz, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Return whether a ray hits a box other than its own."""
    for n in range(len(boxes.halves)):
        if n != own and hit_box(boxes, n, ox, oy, oz, dx, dy, dz)[0] < MISS:
            return True
    return False


@inlined
def within(rectangle, x, z):  # type: ignore[no-untyped-def]
    """Return whether a point of the ground lies in a rectangle."""
    return rectangle[0] < x < rectangle[1] and rectangle[2] < z < rectangle[3]


@inlined
def fade(rectangle, x, z):  # type: ignore[no-untyped-def]
    """Compute a weight that rises from 0 at a rectangle's border to 1 one block width inside."""
    inside = min(x - rectangle[0], rectangle[1] - x, z - rectangle[2], rectangle[3] - z)
    return min(max(inside, 0.0), 1.0)


@inlined
def illuminate(boxes, light, surface, x, y, z, first, step):  # type: ignore[no-untyped-def]
    """Compute the light that reaches a point, by every step-th ray: (direct, ambient)."""
    if surface == WALL:
        return 1.0, 1.0
    if surface < 0:
        own = -1
        nx, ny, nz = 0.0, 1.0, 0.0
        tx, ty, tz = 1.0, 0.0, 0.0
        bx, by, bz = 0.0, 0.0, 1.0
    else:
        own, a = surface // 6, (surface % 6) // 2
        sign = -1.0 if surface % 2 == 0 else 1.0
        axes = boxes.axes
        nx, ny, nz = sign * axes[own, a, 0], sign * axes[own, a, 1], sign * axes[own, a, 2]
        b, c = (a + 1) % 3, (a + 2) % 3
        tx, ty, tz = axes[own, b, 0], axes[own, b, 1], axes[own, b, 2]
        bx, by, bz = axes[own, c, 0], axes[own, c, 1], axes[own, c, 2]
    count = 0
    direct, ambient = 0.0, 0.0
    all_direct = own < 0 and not within(light.shadow_area, x, z)
    all_ambient = own < 0 and not within(light.occlusion_area, x, z)
    for k in range(first, len(light.rays), step):
        count += 1
        dx, dy, dz = light.rays[k, 0], light.rays[k, 1], light.rays[k, 2]
        cosine = nx * dx + ny * dy + nz * dz
        if cosine > 0 and (all_direct or not blocked(boxes, own, x, y, z, dx, dy, dz)):
            direct += cosine
        if all_ambient:
            ambient += 1
            continue
        u, v, w = light.hemisphere[k, 0], light.hemisphere[k, 1], light.hemisphere[k, 2]
        dx = u * tx + v * bx + w * nx
        dy = u * ty + v * by + w * ny
        dz = u * tz + v * bz + w * nz
        if blocked(boxes, own, x, y, z, dx, dy, dz):
            ambient += BLOCK_ALBEDO
        elif dy > 0:
            ambient += 1
        else:
            ambient += GROUND_ALBEDO
    ambient /= count
    if own < 0 and not all_ambient:
        ambient = 1 - (1 - ambient) * fade(light.occlusion_area, x, z)
    return direct / count, ambient


@kernel
def bilinear(tile, x, y):  # type: ignore[no-untyped-def]
    """Interpolate a repeating texture; coordinates in texels."""
    i, j = int(np.floor(y)), int(np.floor(x))
    v, u = y - i, x - j
    last = tile.shape[0] - 1  # all ones in binary
    i0, i1, j0, j1 = i & last, (i + 1) & last, j & last, (j + 1) & last
    upper = tile[i0, j0] * (1 - u) + tile[i0, j1] * u
    lower = tile[i1, j0] * (1 - u) + tile[i1, j1] * u
    return upper * (1 - v) + lower * v


@kernel
def wood(seed, p, q, r, grain):  # type: ignore[no-untyped-def]
    """Compute the brightness of wood at a point of a block, coordinates -0.5 to 0.5.

    Growth rings around an axis along the block give arcs on two faces and stripes on the others;
    six of ten blocks have a crack from the axis outwards.
    """
    turn = seed % 3
    if turn == 1:
        p, q, r = q, r, p
    elif turn == 2:
        p, q, r = r, p, q
    heart_q, heart_r = hash01(seed, 1, 0) - 0.5, 0.8 * hash01(seed, 2, 0) - 0.6
    bend = smooth_noise(2.0 * p, 2.5 * q, 2.5 * r, seed)
    y, z = q - heart_q + 0.02 * bend, r - heart_r + 0.02 * p
    radius = np.sqrt(y * y + z * z) + 0.025 * bend
    phase = radius * (9 + 5 * hash01(seed, 3, 0))
    phase -= np.floor(phase)
    ring = 1 - 3.2 * phase * phase * (1 - phase) * (1 + phase) if phase < 1 else 1.0
    fiber = smooth_noise(3 * p, 26 * q, 26 * r, seed + 11)
    stain = smooth_noise(3.1 * p + 9, 2.3 * q, 2.7 * r, seed + 23)
    brightness = 1 + grain * (1.6 * (ring - 0.6) + 0.8 * fiber + 0.9 * stain)
    if hash01(seed, 4, 0) < 0.6:
        a, b = hash01(seed, 5, 0) - 0.5, hash01(seed, 6, 0) - 0.5
        away = a * z - b * y + 0.012 * bend * (a + b)
        outward = a * y + b * z
        norm = a * a + b * b + 1e-9
        width = 0.012 + 0.012 * hash01(seed, 7, 0)
        if outward > 0 and away * away < width * width * norm and stain > -0.45:
            brightness *= max(1 - 5.0 * grain, 0.25)
    return brightness


@inlined
def cloth_at(cloth, x, y, z):  # type: ignore[no-untyped-def]
    """Compute the color of ground or wall, blended where they meet."""
    texel = cloth.texels
    on_wall = 0.0
    if cloth.wall_z > -30:
        on_wall = min(max(0.5 + y * 0.9 - (z - cloth.wall_z) * 0.45, 0.0), 1.0)
        on_wall = on_wall * on_wall * (3 - 2 * on_wall)
    elif z <= cloth.wall_z + 1e-6:
        on_wall = 1.0
    fold = 0.0
    if on_wall > 0:
        fold += on_wall * bilinear(
            cloth.tile, (x + cloth.origin[2]) * texel, (cloth.origin[3] - y) * texel
        )
    if on_wall < 1:
        fold += (
            0.24
            * (1 - on_wall)
            * bilinear(cloth.tile, (x + cloth.origin[0]) * texel, (z + cloth.origin[1]) * texel)
        )
    brightness = max(1 + 2.0 * cloth.wrinkle * fold, 0.0)
    red = cloth.ground[0] + on_wall * (cloth.wall[0] - cloth.ground[0])
    green = cloth.ground[1] + on_wall * (cloth.wall[1] - cloth.ground[1])
    blue = cloth.ground[2] + on_wall * (cloth.wall[2] - cloth.ground[2])
    return brightness * red, brightness * green, brightness * blue


@inlined
def shade(boxes, light, cloth, finish, surface, point, direction, direct, ambient):  # type: ignore[no-untyped-def]
    """Compute the linear RGB of a point of the scene, seen in a direction."""
    x, y, z = point
    dx, dy, dz = direction
    if surface == NOTHING:
        return cloth.wall[0], cloth.wall[1], cloth.wall[2]
    # Normalized to 1 for an unobstructed face that points up.
    energy = light.ambient * ambient + (1 - light.ambient) * direct / max(light.toward[1], 0.2)
    if surface == WALL:
        return cloth_at(cloth, x, y, z)
    if surface == GROUND:
        red, green, blue = cloth_at(cloth, x, y, z)
        return energy * red, energy * green, energy * blue
    n, a = surface // 6, (surface % 6) // 2
    sign = -1.0 if surface % 2 == 0 else 1.0
    axes = boxes.axes
    px, py, pz = x - boxes.centers[n, 0], y - boxes.centers[n, 1], z - boxes.centers[n, 2]
    edge = 0.5 / max(boxes.halves[n, 0], boxes.halves[n, 1], boxes.halves[n, 2])
    p = edge * (axes[n, 0, 0] * px + axes[n, 0, 1] * py + axes[n, 0, 2] * pz)
    q = edge * (axes[n, 1, 0] * px + axes[n, 1, 1] * py + axes[n, 1, 2] * pz)
    r = edge * (axes[n, 2, 0] * px + axes[n, 2, 1] * py + axes[n, 2, 2] * pz)
    brightness = 1.0
    if finish.grain > 0:
        brightness = max(wood(boxes.seeds[n], p, q, r, finish.grain), 0.0)
    facing = -sign * (axes[n, a, 0] * dx + axes[n, a, 1] * dy + axes[n, a, 2] * dz)
    slant = 1 - min(max(facing, 0.0), 1.0)
    mirror = finish.sheen * slant * slant * slant * slant * slant * ambient
    matte = (1 - mirror) * energy * brightness
    gloss = mirror * (cloth.wall[0] + cloth.wall[1] + cloth.wall[2]) / 3
    return (
        matte * boxes.colors[n, 0] + gloss,
        matte * boxes.colors[n, 1] + gloss,
        matte * boxes.colors[n, 2] + gloss,
    )


@inlined
def is_unobstructed(light, surface, x, z):  # type: ignore[no-untyped-def]
    """Return whether no block can obstruct the light at a point."""
    if surface == GROUND:
        return not within(light.shadow_area, x, z) and not within(light.occlusion_area, x, z)
    return surface < 0


@inlined
def shared_light(pixels, i, j, surface):  # type: ignore[no-untyped-def]
    """Sum the light of a surface around a pixel: (number of pixels, direct, ambient)."""
    size = pixels.surfaces.shape[0]
    count, direct, ambient = 0, 0.0, 0.0
    for a in range(max(i - SHARE // 2, 0), min(i + SHARE // 2, size)):
        for b in range(max(j - SHARE // 2, 0), min(j + SHARE // 2, size)):
            if pixels.surfaces[a, b] == surface:
                count += 1
                direct += pixels.direct[a, b]
                ambient += pixels.ambient[a, b]
    return count, direct, ambient


@inlined
def is_uniform(surfaces, i, j):  # type: ignore[no-untyped-def]
    """Return whether a pixel and its neighbors show the same surface."""
    size = surfaces.shape[0]
    for a in range(max(i - 1, 0), min(i + 2, size)):
        for b in range(max(j - 1, 0), min(j + 2, size)):
            if surfaces[a, b] != surfaces[i, j]:
                return False
    return True


@inlined
def unobstructed_light(light):  # type: ignore[no-untyped-def]
    """Compute the direct light on an unobstructed face that points up."""
    total = 0.0
    for k in range(len(light.rays)):
        total += max(light.rays[k, 1], 0.0) / len(light.rays)
    return total


@kernel
def trace(boxes, lens, light, cloth, pixels):  # type: ignore[no-untyped-def]
    """Fill in the visible surface of each pixel and the light by its own few rays."""
    size = lens.size
    full_light = unobstructed_light(light)
    shares = SHARE * SHARE
    ex, ey, ez = lens.eye
    for i in range(size):
        for j in range(size):
            row, column = i + 0.5, j + 0.5
            dx, dy, dz = pixel_ray(lens, row, column)
            surface, distance = intersect(boxes, lens, cloth, row, column, dx, dy, dz)
            pixels.surfaces[i, j], pixels.distances[i, j] = surface, distance
            x, y, z = ex + distance * dx, ey + distance * dy, ez + distance * dz
            pixels.unobstructed[i, j] = is_unobstructed(light, surface, x, z)
            direct, ambient = full_light, 1.0
            if not pixels.unobstructed[i, j]:
                first = ((i % SHARE) * SHARE + j % SHARE) * 7 % shares
                direct, ambient = illuminate(boxes, light, surface, x, y, z, first, shares)
            pixels.direct[i, j], pixels.ambient[i, j] = direct, ambient


@kernel
def paint(boxes, lens, light, cloth, finish, pixels, image):  # type: ignore[no-untyped-def]
    """Fill in the image in linear RGB."""
    size = lens.size
    full_light = unobstructed_light(light)
    ex, ey, ez = lens.eye
    for i in range(size):
        for j in range(size):
            samples = 1 if is_uniform(pixels.surfaces, i, j) else 4
            red, green, blue = 0.0, 0.0, 0.0
            for s in range(samples):
                row, column = i + 0.5, j + 0.5
                surface, distance = pixels.surfaces[i, j], pixels.distances[i, j]
                if samples > 1:
                    row, column = i + 0.25 + 0.5 * (s // 2), j + 0.25 + 0.5 * (s % 2)
                dx, dy, dz = pixel_ray(lens, row, column)
                if samples > 1:
                    surface, distance = intersect(boxes, lens, cloth, row, column, dx, dy, dz)
                x, y, z = ex + distance * dx, ey + distance * dy, ez + distance * dz
                count, direct, ambient = 1, full_light, 1.0
                if not (samples == 1 and pixels.unobstructed[i, j]):
                    count, direct, ambient = shared_light(pixels, i, j, surface)
                if count == 0:
                    direct, ambient = illuminate(boxes, light, surface, x, y, z, 0, 1)
                    count = 1
                color = shade(
                    boxes,
                    light,
                    cloth,
                    finish,
                    surface,
                    (x, y, z),
                    (dx, dy, dz),
                    direct / count,
                    ambient / count,
                )
                red += color[0]
                green += color[1]
                blue += color[2]
            image[i, j, 0] = red / samples
            image[i, j, 1] = green / samples
            image[i, j, 2] = blue / samples


def cast(boxes: Boxes, lens: Lens, light: Light, cloth: Cloth, finish: Finish) -> Floats:
    """Render an image in linear RGB, size x size x 3."""
    shape = (lens.size, lens.size)
    pixels = Pixels(
        surfaces=np.empty(shape, np.int64),
        distances=np.empty(shape),
        unobstructed=np.empty(shape, np.bool_),
        direct=np.empty(shape),
        ambient=np.empty(shape),
    )
    image = np.empty((*shape, 3))
    trace(boxes, lens, light, cloth, pixels)
    paint(boxes, lens, light, cloth, finish, pixels, image)
    return image


@kernel
def expose(linear, screen, softness, noise, seed, rows, image):  # type: ignore[no-untyped-def]
    """Fill in the image that `develop` returns."""
    size = linear.shape[0]
    steps = screen.shape[0] - 1
    for i in range(size):
        above, below = max(i - 1, 0), min(i + 1, size - 1)
        for j in range(size):
            for c in range(3):
                rows[j, c] = (1 - 2 * softness) * linear[i, j, c] + softness * (
                    linear[above, j, c] + linear[below, j, c]
                )
        for j in range(size):
            left, right = max(j - 1, 0), min(j + 1, size - 1)
            for c in range(3):
                light = (1 - 2 * softness) * rows[j, c] + softness * (
                    rows[left, c] + rows[right, c]
                )
                value = screen[int(min(max(light, 0.0), 1.0) * steps)]
                value += 3.4641 * noise * (hash01(i, j, 3 * seed + c) - 0.5)
                image[i, j, c] = int(min(max(value + 0.5, 0.0), 255.0))


def develop(linear: Floats, screen: Floats, softness: float, noise: float, seed: int) -> Image:
    """Convert linear RGB to bytes: lens softness, gamma and camera noise.

    Args:
        linear: size x size x 3.
        screen: lookup table of pixel values (0..255) for light from 0 to 1, in equal steps.
        softness: fraction of a pixel's light that spreads to each neighbor along an axis.
        noise: standard deviation, in pixel values.
    """
    image = np.empty(linear.shape, np.uint8)
    expose(linear, screen, softness, noise, seed, np.empty(linear.shape[1:]), image)
    return image
