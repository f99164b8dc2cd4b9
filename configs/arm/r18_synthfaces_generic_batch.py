# As the public code tests: what faces share comes from the test batch, so figures depend on its size and order.
_base_ = './r18_synthfaces.py'
model = dict(neck=dict(generic='batch'))
