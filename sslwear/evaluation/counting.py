"""Rules for days and people that count. What does not count stays in all tables, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sslwear.errors import SettingsError
from sslwear.utils.words import count

COVERS = ("none", "day", "person")
HOURS_A_DAY = 24


@dataclass(frozen=True)
class CountingRule:
    """Which days and which people count.

    Attributes:
        min_wear_h: least hours of wear of a day that counts.
        cover: ``day``: a day counts only if each of its hours has wear; ``person``: a person counts only if each of the
            24 hours has wear on some day that counts; ``none``: neither.
        min_days: least number of days that count of a person who counts.
        min_weekdays: least number of them from Monday to Friday.
        min_weekend_days: least number of them on Saturday or Sunday.

    Raises:
        SettingsError: when a value is impossible.
    """

    min_wear_h: float = 10.0
    cover: str = "none"
    min_days: int = 3
    min_weekdays: int = 0
    min_weekend_days: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.min_wear_h <= HOURS_A_DAY:
            raise SettingsError(f"--min-wear {self.min_wear_h:g} is not from 0 to 24 hours. Write e.g. 10h or 90min")
        if self.cover not in COVERS:
            raise SettingsError(f"--cover {self.cover} is unknown. Write one of {', '.join(COVERS)}")
        numbers = {"days": self.min_days, "weekdays": self.min_weekdays, "weekend-days": self.min_weekend_days}
        for name, number in numbers.items():
            if number < 0:
                raise SettingsError(f"--min-{name} {number} is negative. Give 0 or more")

    def day_problem(self, wear_h: float, uncovered: int) -> str:
        """Why a day does not count; empty if it does.

        Args:
            wear_h: hours of wear.
            uncovered: number of its hours without wear.
        """
        if wear_h == 0:
            return "not worn"
        if wear_h < self.min_wear_h:
            return f"less than {self.min_wear_h:g} h of wear"
        if self.cover == "day" and uncovered:
            return f"{count(uncovered, 'hour')} without wear"
        return ""

    def person_problems(self, weekdays: int, weekend_days: int, uncovered: int) -> Iterator[str]:
        """Why a person does not count; nothing if the person does.

        Args:
            weekdays: number of weekdays that count.
            weekend_days: number of weekend days that count.
            uncovered: number of the 24 hours without wear on all days that count.
        """
        if weekdays + weekend_days < self.min_days:
            yield f"fewer than {count(self.min_days, 'day')} that count"
        if weekdays < self.min_weekdays:
            yield f"fewer than {count(self.min_weekdays, 'weekday')} that count"
        if weekend_days < self.min_weekend_days:
            yield f"fewer than {count(self.min_weekend_days, 'weekend day')} that count"
        if self.cover == "person" and uncovered:
            yield "hours of the day that were never worn"
