select
  bool_or(is_wirehouse) as is_wirehouse,
  bool_or(entity_classification = 'Independent RIA') as is_independent_ria,
  bool_or(protocol_joined_on is not null) as is_broker_protocol
from firms
