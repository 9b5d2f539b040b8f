"""All bugs in steps and worlds."""

from __future__ import annotations

from tests.quality.planted.goods import CLUB, ORDER, OTHERS, PARCEL
from tests.quality.planted.money import IN_MEMORY, IN_SQLITE
from tests.quality.planted.travel import CONFERENCE, TRIP


STEPS = (*IN_MEMORY, *IN_SQLITE, *TRIP, *CONFERENCE, *PARCEL, *ORDER, *CLUB, *OTHERS)
