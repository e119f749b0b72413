"""The national best bid and offer, from the quotes of single venues."""

from trader.data.nbbo.builder import NbboBuilder
from trader.data.nbbo.files import NbboFile, national_quotes
from trader.data.nbbo.messages import NbboBatch, VenueQuoteBatch

__all__ = ["NbboBatch", "NbboBuilder", "NbboFile", "VenueQuoteBatch", "national_quotes"]
